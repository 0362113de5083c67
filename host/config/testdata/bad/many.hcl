# One run shows every problem, whatever its kind.
listen   = "0.0.0.0:7080"
data_dir = 5
drain    = 20s

pool {
  workers = 0
  queues  = 1024
}

app "keywords" {
  grant = ["transcript", "notfy"]

  limits {
    fuel = "50e6"
    wall = 250ms
  }
}

app "minutes" {
  grant = ["conversation"]
  sha256 = "9f86"
}
