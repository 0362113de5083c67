pool {
  workers = 1.5
}
