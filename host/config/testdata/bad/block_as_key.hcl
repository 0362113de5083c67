pool = { workers = 4 }
