listen = "127.0.0.1:7080
drain = 5
