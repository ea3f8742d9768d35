"""What a broker keeps on its disk, and how it finds it again after a crash."""
