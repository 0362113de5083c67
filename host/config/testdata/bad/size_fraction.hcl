audio {
  buffer = "1.5MiB"
}
