pool {
  workers = 0

conversation {
  silence = "5s"
}
