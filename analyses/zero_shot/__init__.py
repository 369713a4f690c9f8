"""What a run can do, without more training, where one thing is other than it was trained on."""
