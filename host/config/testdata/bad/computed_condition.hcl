log_json = 1 == 1 ? true : false
