drain = "5s"
pool {
  workers = 4
}
