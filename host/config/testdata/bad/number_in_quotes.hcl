pool {
  workers = "32"
}
