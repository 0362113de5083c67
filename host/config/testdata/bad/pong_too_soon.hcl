stream {
  ping_interval = "30s"
  pong_timeout  = "30s"
}
