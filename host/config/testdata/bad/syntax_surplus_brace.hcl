pool {
  workers = 4
}
}
log_level = "inf"
