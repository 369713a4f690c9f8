"""What controllers do, by layer, by depth of training, by rank, and through which components."""
