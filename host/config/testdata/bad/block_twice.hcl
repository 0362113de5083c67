pool {
  workers = 4
}

pool {
  queue = 8
}
