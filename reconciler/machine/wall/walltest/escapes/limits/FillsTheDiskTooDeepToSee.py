for n in range(40): os.mkdir("d" * 200); os.chdir("d" * 200)
time.sleep(20)
