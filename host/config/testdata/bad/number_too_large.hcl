pool {
  workers = 5000
}
