import threading

threading.stack_size(1 << 18)
never = threading.Event()
while True:
    threading.Thread(target=never.wait, daemon=True).start()
