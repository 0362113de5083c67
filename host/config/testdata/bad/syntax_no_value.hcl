drain =
log_level = "info"
