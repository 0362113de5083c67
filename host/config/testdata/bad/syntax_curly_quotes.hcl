log_level = “info”
