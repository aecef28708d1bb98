"""ECK iD: pseudonyms of pupils (and teachers), obtained from Kennisnet's number facility."""
