store {
  nats {
    replicas = 1
  }
  nats {
  }
}
