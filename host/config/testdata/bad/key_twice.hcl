drain = "5s"
drain = "6s"
