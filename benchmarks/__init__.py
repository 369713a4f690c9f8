"""Speed, side by side: ``python -m benchmarks`` measures all of it in one sitting."""
