while True:
    try:
        while True:
            sum(range(1000))
    except BaseException:
        continue
