log_json = "true"
