"""When the switching gate opens: against subgoal boundaries, nulls and counterfactuals."""
