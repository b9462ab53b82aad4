"""What runs on the device, edge and cloud hosts; shipped to them as it stands."""
