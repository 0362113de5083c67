app "a" {
  grant = ["transcript"]
}
