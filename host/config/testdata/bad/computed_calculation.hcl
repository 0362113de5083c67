pool {
  workers = 4 * 8
}
