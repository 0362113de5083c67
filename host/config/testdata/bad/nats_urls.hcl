store {
  nats {
    urls = ["http://nats.example.org", "nats.example.org:4222", "nats://me:secret@10.0.0.1/x", 4222]
  }
}
