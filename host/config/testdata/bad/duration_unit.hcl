conversation {
  grace = "2d"
}
