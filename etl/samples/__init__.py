"""Raw tables to samples: rows judged, events attributed, labels made, features encoded, days written."""
