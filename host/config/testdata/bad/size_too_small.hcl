stream {
  max_message  = 100
  output_queue = "1KiB"
}
