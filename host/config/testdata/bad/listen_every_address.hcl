listen = ":7080"
