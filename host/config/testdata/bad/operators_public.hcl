operators {
  listen = "0.0.0.0:7081"
}
