listen = "auricle.example.org:7080"
