log_level = "infÿþ"
