"""What the generated members are made of."""

FIRST_NAMES = (
    "Ada", "Anna", "Björn", "Carlos", "Chloé", "Daniel", "Elif", "Emma", "Fatima", "Finn", "Grace",
    "Hanna", "Hugo", "Ines", "Jakub", "Jonas", "Kofi", "Lea", "Liam", "Lucía", "Mara", "Mei", "Mohamed",
    "Nadia", "Noah", "Olga", "Paul", "Priya", "Rosa", "Samir", "Sofia", "Søren", "Theo", "Yuki", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Andersen", "Bauer", "Becker", "Costa", "Diallo", "Dubois", "Eriksson", "Fischer", "García", "Haddad",
    "Hoffmann", "Ivanova", "Jansen", "Kaya", "Keller", "Kowalski", "Larsen", "Martin", "Meyer", "Moreau",
    "Müller", "Nguyen", "Novák", "O'Brien", "Okafor", "Patel", "Rossi", "Schmidt", "Silva", "Tanaka",
    "Weber", "Wagner", "Yılmaz", "Zimmermann",
)  # fmt: skip
CITIES = (
    # name, first digits of its postal codes, country
    ("Berlin", "10", "DE"),
    ("Hamburg", "20", "DE"),
    ("München", "80", "DE"),
    ("Köln", "50", "DE"),
    ("Wien", "1", "AT"),
    ("Zürich", "8", "CH"),
    ("Paris", "75", "FR"),
    ("Lyon", "69", "FR"),
    ("Madrid", "28", "ES"),
    ("Lisboa", "1", "PT"),
    ("København", "2", "DK"),
    ("Warszawa", "00", "PL"),
)
STREETS = (
    "Hauptstraße", "Bahnhofstraße", "Gartenweg", "Lindenallee", "Rue Victor Hugo", "Calle Mayor",
    "Schulstraße", "Via Roma", "Am Markt", "Kirchgasse", "Nørregade", "Marszałkowska",
)  # fmt: skip
STATUSES = ("active", "paused", "cancelled")
TIERS = ("basic", "silver", "gold", "platinum")
TAGS = ("early-bird", "family", "student", "senior", "corporate", "referral", "app-user", "weekend", "vip")
