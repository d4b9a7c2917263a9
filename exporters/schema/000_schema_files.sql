-- Which of these files a database holds.  Always applied first, so it never changes.
CREATE TABLE IF NOT EXISTS schema_files (
  name        String,
  checksum    String,
  applied_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY name;
