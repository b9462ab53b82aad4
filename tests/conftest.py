"""What all tests share."""

from hypothesis import HealthCheck, settings

# Machines of CI stall now and then; how long an example takes is no property of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
