"""What people see: functions from values to renderables. No AWS, no clock, no sleeping."""
