conversations {
  silence = "5s"
}
