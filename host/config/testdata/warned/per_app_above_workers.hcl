pool {
  workers = 4
  per_app = 8
}
