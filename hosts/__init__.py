"""The controller's side: reaches the hosts over SSH, deploys the workers and measures blocks of scenarios."""
