"""Speed and memory, side by side with what one would run instead: `make bench`."""
