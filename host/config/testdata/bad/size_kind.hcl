audio {
  buffer = true
}
