"""What runs inside the sandbox, with its Python, pypdf, python-docx and BeautifulSoup: documents as text."""
