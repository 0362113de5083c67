drain = 20s

conversation {
  silence = 120s
  grace   = 30s
}
