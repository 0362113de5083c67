audio {
  buffer = "4MB"
}

stream {
  max_message = "64kib"
}
