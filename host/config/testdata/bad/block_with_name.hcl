pool "main" {
  workers = 4
}
