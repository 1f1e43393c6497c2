"""Tables of what calliope-nano knows: countries, things, animals, units, words. facts.py makes questions and answers of them.

The first of some are asked aloud too (sounds.spoken_questions): new ones go behind them."""

from __future__ import annotations

import functools
import re
from pathlib import Path


def table(text: str, part: str = "=") -> dict[str, str]:
    """{key: value} of `key=value; key=value`."""
    return dict(tuple(x.strip() for x in item.split(part)) for item in text.replace("\n", " ").split(";") if item.strip())


def groups(text: str) -> dict[str, str]:
    """{member: group} of `group: member, member; group: member`."""
    out = {}
    for line in text.replace("\n", " ").split(";"):
        if line.strip():
            group, _, members = line.partition(":")
            out |= {member.strip(): group.strip() for member in members.split(",")}
    return out


CAPITALS = table("""France=Paris; Germany=Berlin; Italy=Rome; Spain=Madrid; Portugal=Lisbon; England=London; Ireland=Dublin; Scotland=Edinburgh;
Austria=Vienna; Switzerland=Bern; Belgium=Brussels; Holland=Amsterdam; Denmark=Copenhagen; Norway=Oslo; Sweden=Stockholm; Finland=Helsinki;
Poland=Warsaw; Greece=Athens; Turkey=Ankara; Russia=Moscow; Hungary=Budapest; Romania=Bucharest; Ukraine=Kyiv; Iceland=Reykjavik; Egypt=Cairo;
Kenya=Nairobi; Morocco=Rabat; Ghana=Accra; Japan=Tokyo; China=Beijing; India=New Delhi; Thailand=Bangkok; Vietnam=Hanoi; Indonesia=Jakarta;
Australia=Canberra; Canada=Ottawa; Mexico=Mexico City; Cuba=Havana; Brazil=Brasilia; Argentina=Buenos Aires; Chile=Santiago; Peru=Lima;
Colombia=Bogota; Iran=Tehran; Iraq=Baghdad; Wales=Cardiff; Albania=Tirana; Algeria=Algiers; Angola=Luanda; Armenia=Yerevan; Azerbaijan=Baku;
Bangladesh=Dhaka; Belarus=Minsk; Bulgaria=Sofia; Cambodia=Phnom Penh; Cameroon=Yaounde; Chad=N'Djamena; Croatia=Zagreb; Cyprus=Nicosia; Ecuador=Quito;
Estonia=Tallinn; Ethiopia=Addis Ababa; Georgia=Tbilisi; Guatemala=Guatemala City; Haiti=Port-au-Prince; Honduras=Tegucigalpa; Jamaica=Kingston;
Jordan=Amman; Kazakhstan=Astana; Kuwait=Kuwait City; Laos=Vientiane; Latvia=Riga; Lebanon=Beirut; Libya=Tripoli; Lithuania=Vilnius;
Luxembourg=Luxembourg; Madagascar=Antananarivo; Malaysia=Kuala Lumpur; Mali=Bamako; Malta=Valletta; Mongolia=Ulaanbaatar; Nepal=Kathmandu;
Nicaragua=Managua; Niger=Niamey; Nigeria=Abuja; Oman=Muscat; Pakistan=Islamabad; Panama=Panama City; Paraguay=Asuncion; the Philippines=Manila;
Qatar=Doha; Rwanda=Kigali; Senegal=Dakar; Serbia=Belgrade; Singapore=Singapore; Slovakia=Bratislava; Slovenia=Ljubljana; Somalia=Mogadishu;
Sudan=Khartoum; Syria=Damascus; Taiwan=Taipei; Tanzania=Dodoma; Tunisia=Tunis; Uganda=Kampala; Uruguay=Montevideo; Venezuela=Caracas; Yemen=Sana'a;
Zambia=Lusaka; Zimbabwe=Harare; Afghanistan=Kabul; the Bahamas=Nassau; Bahrain=Manama; Bhutan=Thimphu; Botswana=Gaborone; Costa Rica=San Jose; El
Salvador=San Salvador; Fiji=Suva; Gabon=Libreville; Guyana=Georgetown; Kosovo=Pristina; Liberia=Monrovia; Malawi=Lilongwe; Mauritania=Nouakchott;
Moldova=Chisinau; Montenegro=Podgorica; Mozambique=Maputo; Namibia=Windhoek; New Zealand=Wellington; North Korea=Pyongyang; South Korea=Seoul; Saudi
Arabia=Riyadh; Suriname=Paramaribo; Togo=Lome; Uzbekistan=Tashkent; the United States=Washington; the Czech Republic=Prague; the
Netherlands=Amsterdam; the United Kingdom=London; Burkina Faso=Ouagadougou; Sierra Leone=Freetown; Barbados=Bridgetown; Monaco=Monaco;
Liechtenstein=Vaduz; Andorra=Andorra la Vella; Myanmar=Naypyidaw; Kyrgyzstan=Bishkek; Tajikistan=Dushanbe; Turkmenistan=Ashgabat; North
Macedonia=Skopje; Papua New Guinea=Port Moresby; the Maldives=Male; Burundi=Gitega; Djibouti=Djibouti; Lesotho=Maseru; Cape Verde=Praia; Vanuatu=Port
Vila; Samoa=Apia; Tonga=Nuku'alofa; Palau=Ngerulmud; Dominica=Roseau; Grenada=Saint George's; Brunei=Bandar Seri Begawan; East Timor=Dili;
Belize=Belmopan; Eritrea=Asmara; Guinea=Conakry; Gambia=Banjul""")
FIRST_CAPITALS = 45  # asked aloud too

CONTINENTS = groups("""Europe: France, Germany, Italy, Spain, Portugal, England, Ireland, Scotland, Wales, Austria, Switzerland, Belgium, Holland,
Denmark, Norway, Sweden, Finland, Poland, Greece, Hungary, Romania, Ukraine, Iceland, Albania, Belarus, Bulgaria, Croatia, Estonia, Latvia, Lithuania,
Luxembourg, Malta, Serbia, Slovakia, Slovenia, Kosovo, Moldova, Montenegro, the Czech Republic, the Netherlands, the United Kingdom, Monaco,
Liechtenstein, Andorra, North Macedonia; Africa: Egypt, Kenya, Morocco, Ghana, Algeria, Angola, Cameroon, Chad, Ethiopia, Libya, Madagascar, Mali,
Niger, Nigeria, Rwanda, Senegal, Somalia, Sudan, Tanzania, Tunisia, Uganda, Zambia, Zimbabwe, Botswana, Gabon, Liberia, Malawi, Mauritania,
Mozambique, Namibia, Togo, Burundi, Djibouti, Lesotho, Burkina Faso, Sierra Leone, Eritrea, Guinea, Gambia; Asia: Japan, China, India, Thailand,
Vietnam, Indonesia, Iran, Iraq, Bangladesh, Cambodia, Jordan, Kazakhstan, Kuwait, Laos, Lebanon, Malaysia, Mongolia, Nepal, Oman, Pakistan, the
Philippines, Qatar, Singapore, Syria, Taiwan, Yemen, Afghanistan, Bahrain, Bhutan, North Korea, South Korea, Saudi Arabia, Uzbekistan,
Myanmar, Kyrgyzstan, Tajikistan, Turkmenistan, the Maldives; North America: Canada, Mexico, Cuba, Guatemala, Haiti, Honduras, Jamaica, Nicaragua,
Panama, the Bahamas, Costa Rica, El Salvador, the United States, Barbados, Belize, Dominica, Grenada; South America: Brazil, Argentina, Chile, Peru,
Colombia, Ecuador, Paraguay, Uruguay, Venezuela, Guyana, Suriname; Oceania: Australia, Fiji, New Zealand, Papua New Guinea, Vanuatu, Samoa, Tonga,
Palau""")

CURRENCIES = groups("""euro: France, Germany, Italy, Spain, Portugal, Ireland, Austria, Belgium, Holland, the Netherlands, Finland, Greece, Estonia,
Latvia, Lithuania, Luxembourg, Malta, Slovakia, Slovenia, Croatia, Cyprus, Bulgaria; pound: England, the United Kingdom, Scotland, Wales, Egypt,
Lebanon, Syria, Sudan; dollar: the United States, Canada, Australia, New Zealand, Singapore, Jamaica, Fiji, Taiwan, the Bahamas, Barbados, Liberia,
Namibia; peso: Mexico, Cuba, Argentina, Chile, Colombia, Uruguay, the Philippines; yen: Japan; yuan: China; rupee: India, Pakistan, Nepal;
won: South Korea, North Korea; rouble: Russia, Belarus; lira: Turkey; krone: Denmark, Norway; krona: Sweden, Iceland; zloty: Poland; forint: Hungary;
franc: Switzerland, Rwanda; dirham: Morocco; dinar: Iraq, Jordan, Kuwait, Algeria, Libya, Serbia, Tunisia, Bahrain; rial: Iran, Oman, Yemen; riyal:
Saudi Arabia, Qatar; real: Brazil; sol: Peru; baht: Thailand; dong: Vietnam; rupiah: Indonesia; ringgit: Malaysia; shilling: Kenya, Tanzania, Uganda,
Somalia; naira: Nigeria; cedi: Ghana; leu: Romania, Moldova; hryvnia: Ukraine; koruna: the Czech Republic; tenge: Kazakhstan; taka: Bangladesh; birr:
Ethiopia; lek: Albania; kwacha: Zambia, Malawi; lari: Georgia""")

LANGUAGES = groups("""English: England, the United States, Australia, New Zealand, Jamaica, the Bahamas, the United Kingdom, Scotland; French: France,
Monaco; German: Germany, Austria, Liechtenstein; Spanish: Spain, Mexico, Argentina, Chile, Peru, Colombia, Cuba, Venezuela, Ecuador, Uruguay, Panama,
Costa Rica, Guatemala, Honduras, Nicaragua, El Salvador; Portuguese: Portugal, Brazil, Angola, Mozambique; Italian: Italy; Dutch: Holland, the
Netherlands, Suriname; Danish: Denmark; Norwegian: Norway; Swedish: Sweden; Finnish: Finland; Polish: Poland; Greek: Greece; Turkish: Turkey; Russian:
Russia; Hungarian: Hungary; Romanian: Romania, Moldova; Ukrainian: Ukraine; Icelandic: Iceland; Bulgarian: Bulgaria; Croatian: Croatia; Serbian:
Serbia; Czech: the Czech Republic; Arabic: Egypt, Morocco, Iraq, Jordan, Kuwait, Lebanon, Libya, Algeria, Tunisia, Syria, Yemen, Oman, Qatar, Saudi
Arabia, Bahrain, Sudan; Persian: Iran; Japanese: Japan; Chinese: China, Taiwan; Korean: South Korea, North Korea; Thai: Thailand; Vietnamese: Vietnam;
Albanian: Albania; Estonian: Estonia; Latvian: Latvia; Lithuanian: Lithuania; Mongolian: Mongolia; Georgian: Georgia; Armenian: Armenia; Bengali:
Bangladesh; Nepali: Nepal""")

OPPOSITES = table("""hot=cold; big=small; tall=short; fast=slow; old=young; happy=sad; light=dark; full=empty; open=closed; early=late; hard=soft;
high=low; rich=poor; wet=dry; clean=dirty; loud=quiet; strong=weak; near=far; up=down; left=right; good=bad; day=night; first=last; win=lose;
black=white; yes=no; inside=outside; above=below; top=bottom; front=back; start=finish; begin=end; buy=sell; give=take; push=pull; come=go; love=hate;
laugh=cry; thick=thin; wide=narrow; deep=shallow; cheap=expensive; easy=difficult; safe=dangerous; sweet=sour; smooth=rough; sharp=blunt;
brave=cowardly; polite=rude; true=false; alive=dead; asleep=awake; sick=healthy; lucky=unlucky; always=never; more=less; many=few; everything=nothing;
everybody=nobody; before=after; north=south; east=west; summer=winter; sunrise=sunset; morning=evening; friend=enemy; war=peace; question=answer;
success=failure; birth=death; entrance=exit; arrive=leave; remember=forget; accept=refuse; increase=decrease; add=subtract; multiply=divide;
build=destroy; lend=borrow; float=sink; freeze=melt; attack=defend; hero=villain; man=woman; boy=girl; husband=wife; brother=sister; uncle=aunt;
son=daughter; mother=father; nephew=niece; host=guest; teacher=student; ancient=modern; public=private; simple=complicated; possible=impossible;
visible=invisible; tight=loose; straight=crooked; fresh=stale; raw=cooked; proud=ashamed; calm=nervous; generous=greedy; honest=dishonest;
clever=stupid; beautiful=ugly; busy=idle; bright=dim; guilty=innocent; permanent=temporary; maximum=minimum; positive=negative; odd=even""")

COLOURS = table("""the sky=blue; grass=green; snow=white; a banana=yellow; blood=red; coal=black; an orange=orange; a lemon=yellow; milk=white; the
sun=yellow; a strawberry=red; chocolate=brown; an elephant=grey; a frog=green; a flamingo=pink; the sea=blue""") | groups("""blue: a blueberry, a sapphire;
green: a cucumber, a lime, spinach, an emerald, broccoli, a lettuce, a pea, moss, ivy, a cactus;
white: salt, cotton, a swan, a polar bear, a tooth, chalk, flour, an igloo, a snowman;
yellow: a canary, butter, a daffodil, corn, a sunflower, mustard, a chick;
red: a tomato, a cherry, a ruby, a fire engine, a raspberry, ketchup, a ladybird;
black: ink, a crow, tar, soot, a raven, a panther; orange: a carrot, a pumpkin, a tangerine, an apricot;
brown: coffee, wood, a coconut, mud, cocoa, a walnut, a chestnut; grey: ash, a dolphin, lead,
a mouse, a rhino; pink: a pig;
purple: an aubergine, a violet, a plum, lavender, an amethyst""")

SOUNDS = table("""a dog=woof; a cat=meow; a cow=moo; a duck=quack; a sheep=baa; a pig=oink; a frog=croak; a lion=roar; a bee=buzz; an owl=hoot; a
donkey=hee-haw; a crow=caw; a wolf=howl; a snake=hiss; a mouse=squeak; a hen=cluck; a turkey=gobble; a horse=neigh; a rooster=cock-a-doodle-doo; a
bird=tweet; a pigeon=coo; a goose=honk; a tiger=growl; a train=choo choo; a clock=tick tock; a bell=ding dong; a chick=cheep; a cuckoo=cuckoo""")
FIRST_SOUNDS = 10

LEGS = {
    "a dog": 4, "a bird": 2, "a spider": 8, "an ant": 6, "a horse": 4, "a person": 2, "a cat": 4, "a fish": 0, "a cow": 4, "a duck": 2, "a bee": 6,
    "a snake": 0, "an elephant": 4, "a chicken": 2, "a lion": 4, "a beetle": 6, "a butterfly": 6, "a worm": 0, "a frog": 4, "a pig": 4, "a sheep": 4,
    "an eagle": 2, "a fly": 6, "a crab": 10, "a lobster": 10, "a penguin": 2, "a tiger": 4, "a whale": 0, "a mouse": 4, "a table": 4, "a chair": 4,
    "a scorpion": 8, "a rabbit": 4, "a goat": 4, "a donkey": 4, "a shark": 0, "an ostrich": 2, "a mosquito": 6, "a camel": 4, "a tripod": 3,
    "a snail": 0,
}

YOUNG = table("""dog=puppy; cat=kitten; cow=calf; horse=foal; sheep=lamb; pig=piglet; goat=kid; hen=chick; duck=duckling; goose=gosling; lion=cub;
bear=cub; fox=cub; tiger=cub; deer=fawn; frog=tadpole; swan=cygnet; kangaroo=joey; elephant=calf; whale=calf; eagle=eaglet; owl=owlet;
butterfly=caterpillar; seal=pup; hare=leveret; fish=fry""")

HOMES = table("""a bee=a hive; a bird=a nest; a dog=a kennel; a spider=a web; a lion=a den; a horse=a stable; a pig=a sty; a rabbit=a burrow; a
fish=water; an ant=an anthill; a beaver=a lodge; a bear=a den; a mouse=a hole; a monk=a monastery; a pigeon=a loft; a chicken=a coop; a cow=a barn; a
fox=a den; a king=a palace; a nun=a convent; an eagle=a nest""")

KINDS = groups("""a fruit: an apple, a banana, a pear, a cherry, a grape, a peach, a plum, a lemon, a mango, a strawberry, a melon, an orange; a
vegetable: a carrot, a potato, an onion, a cabbage, a cucumber, spinach, a leek, a radish, broccoli, a turnip; a mammal: a whale, a dog, a cat, a bat,
a dolphin, a cow, a horse, an elephant, a lion, a mouse, a bear, a seal, a monkey, a kangaroo; a bird: an eagle, a penguin, an owl, a crow, a duck, an
ostrich, a parrot, a swan, a robin, a sparrow; a fish: a shark, a salmon, a tuna, a trout, a cod, a herring; an insect: an ant, a bee, a fly, a
beetle, a butterfly, a mosquito, a wasp, a grasshopper; a reptile: a snake, a crocodile, a lizard, a tortoise, a turtle; an amphibian: a frog, a toad,
a newt; a planet: Mars, Venus, Jupiter, Saturn, Neptune, Mercury, Uranus, Earth; a metal: iron, gold, silver, copper, tin, lead, zinc; a colour: red,
blue, green, yellow, purple, pink; an instrument: a piano, a violin, a guitar, a flute, a trumpet, a drum, a harp, a cello; a sport: football, tennis,
golf, hockey, rugby, cricket, swimming; a language: English, French, German, Spanish, Italian, Greek; a continent: Europe, Africa, Asia; a flower: a
rose, a tulip, a daisy, a lily, a violet, a daffodil; a tree: an oak, a pine, a birch, a maple, a willow, a palm; a tool: a hammer, a saw, a spade, a
drill; a drink: tea, coffee, milk, juice, water, lemonade; a vehicle: a car, a bus, a lorry, a van, a tram; a shape: a circle, a square, a triangle;
clothing: a shirt, a coat, a hat, a skirt, a jacket; furniture: a table, a chair, a sofa, a desk, a bed""")

SYMBOLS = table("""hydrogen=H; helium=He; lithium=Li; carbon=C; nitrogen=N; oxygen=O; fluorine=F; neon=Ne; sodium=Na; magnesium=Mg; aluminium=Al;
silicon=Si; phosphorus=P; sulphur=S; chlorine=Cl; argon=Ar; potassium=K; calcium=Ca; titanium=Ti; chromium=Cr; manganese=Mn; iron=Fe; cobalt=Co;
nickel=Ni; copper=Cu; zinc=Zn; arsenic=As; bromine=Br; krypton=Kr; silver=Ag; tin=Sn; iodine=I; xenon=Xe; tungsten=W; platinum=Pt; gold=Au;
mercury=Hg; lead=Pb; radium=Ra; uranium=U; plutonium=Pu""")

SIDES = {
    "a triangle": 3, "a square": 4, "a rectangle": 4, "a pentagon": 5, "a hexagon": 6, "a heptagon": 7, "an octagon": 8, "a nonagon": 9,
    "a decagon": 10,
}
PLANETS = "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()
SEASONS = table("""January=winter; February=winter; March=spring; April=spring; May=spring; June=summer; July=summer; August=summer; September=autumn;
October=autumn; November=autumn; December=winter""")
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = dict(zip(MONTHS, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]))

UNITS = {
    ("minutes", "an hour"): "sixty", ("seconds", "a minute"): "sixty", ("hours", "a day"): "twenty four", ("days", "a week"): "seven",
    ("months", "a year"): "twelve", ("weeks", "a year"): "fifty two", ("metres", "a kilometre"): "one thousand",
    ("grams", "a kilogram"): "one thousand", ("days", "a year"): "three hundred and sixty five", ("years", "a century"): "one hundred",
    ("letters", "the alphabet"): "twenty six", ("centimetres", "a metre"): "one hundred", ("millimetres", "a centimetre"): "ten",
    ("millimetres", "a metre"): "one thousand", ("years", "a decade"): "ten", ("years", "a millennium"): "one thousand",
    ("inches", "a foot"): "twelve", ("feet", "a yard"): "three", ("yards", "a mile"): "one thousand seven hundred and sixty",
    ("ounces", "a pound"): "sixteen", ("pounds", "a stone"): "fourteen", ("kilograms", "a tonne"): "one thousand",
    ("millilitres", "a litre"): "one thousand", ("pints", "a gallon"): "eight", ("milligrams", "a gram"): "one thousand",
    ("days", "a fortnight"): "fourteen", ("seconds", "an hour"): "three thousand six hundred",
    ("minutes", "a day"): "one thousand four hundred and forty", ("hours", "a week"): "one hundred and sixty eight",
    ("minutes", "half an hour"): "thirty", ("cents", "a dollar"): "one hundred", ("pence", "a pound"): "one hundred",
    ("cents", "a euro"): "one hundred", ("eggs", "a dozen"): "twelve", ("days", "a leap year"): "three hundred and sixty six",
    ("weeks", "a fortnight"): "two", ("degrees", "a circle"): "three hundred and sixty", ("degrees", "a right angle"): "ninety",
    ("quarters", "a whole"): "four", ("players", "a football team"): "eleven", ("strings", "a violin"): "four", ("strings", "a guitar"): "six",
    ("keys", "a piano"): "eighty eight", ("cards", "a pack"): "fifty two", ("sides", "a coin"): "two", ("faces", "a cube"): "six",
    ("edges", "a cube"): "twelve", ("corners", "a cube"): "eight", ("bits", "a byte"): "eight", ("zeros", "a million"): "six",
    ("zeros", "a thousand"): "three", ("planets", "the solar system"): "eight", ("colours", "a rainbow"): "seven", ("fingers", "a hand"): "five",
    ("seasons", "a year"): "four", ("vowels", "the alphabet"): "five", ("quarters", "a year"): "four",
}


def words() -> dict[str, list[str]]:
    """{what they are: words} of words.txt: the most used of WordNet, by their first sense."""
    lines = (Path(__file__).parent / "words.txt").read_text().split("\n")
    return {kind: listed.split() for kind, _, listed in (line.partition(": ") for line in lines if line[:1] not in ("", "#"))}


# How words.txt was made. WordNet's files of nouns, by what is called what; how many words are taken of each kind.
WORDNET = Path("/usr/share/wordnet")  # Debian's wordnet-base
NOUNS = groups("""thing: 03, 06, 25; animal: 05; body: 08; food: 13; person: 18; plant: 20; substance: 27; act: 04; idea: 07, 09, 10, 12, 21, 26; event: 11, 19;
group: 14; nature: 17; time: 28""")
MOST = table("""thing=1100; animal=300; body=90; food=300; person=600; plant=160; substance=200; act=450; idea=900; event=160; group=150; nature=90; time=60;
verb=900; adj=1000""")
LEFT_OUT = set("""sex sexual rape rapist whore prostitute prostitution nigger negro bitch bastard ass cock dick penis vagina breast breasts erotic suicide murder murderer
killer kill corpse genocide slave slavery nazi terrorist drug cocaine heroin porn pornography orgasm intercourse damn hell gay lesbian homosexual jew islam muslim
christian god christ jesus nude naked lust incest virgin harlot mistress torture slaughter holocaust idiot moron fool gun bomb savage queer bum screw tit hooker
genitals genital bull semen sperm crap shit fuck piss fag dyke spic kike massacre lynch hanging execution cancer victim abortion cunt anus rectum feces urine bosom
seduce molest assault crotch buttocks nipple""".split())


@functools.cache
def rare() -> dict[str, list[str]]:
    """{what they are: further nouns of WordNet} by any of their senses, of 3 to 12 letters, and under "place" its names of places; nothing without WordNet."""
    if not (WORDNET / "data.noun").exists():
        return {}
    common = {word for of in words().values() for word in of}
    taken: dict[str, set[str]] = {}
    for line in (WORDNET / "data.noun").read_text().splitlines():
        if line[:1] == " ":
            continue
        _, file, _, count, *rest = line.split()
        called = rest[: 2 * int(count, 16) : 2]
        if any(word.replace("_", " ") in CAPITALS for word in called):
            continue
        for word in called:
            if file == "15" and re.fullmatch("[A-Z][a-z]{2,11}(_[A-Z][a-z]{2,11})?", word):
                taken.setdefault("place", set()).add(word.replace("_", " "))
            elif re.fullmatch("[a-z]{3,12}", word) and word not in common | LEFT_OUT:
                taken.setdefault(NOUNS.get(file, "idea"), set()).add(word)
    return {kind: sorted(of) for kind, of in taken.items()}


def write_words() -> None:
    """words.txt: words of 3 to 11 letters, the most used first of all; no names, and of each noun only what it is most often."""
    counts: dict[tuple[str, str], int] = {}
    for line in (WORDNET / "cntlist.rev").read_text().splitlines():
        sense, _, times = line.split()
        word, part = sense.split("%")
        of = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}[part[0]]
        counts[word, of] = counts.get((word, of), 0) + int(times)
    taken: dict[str, list[tuple[int, str]]] = {kind: [] for kind in MOST}
    for part in ("noun", "verb", "adj"):
        read = lambda name: [line.split() for line in (WORDNET / f"{name}.{part}").read_text().splitlines() if line[:1] != " "]  # noqa: B023, E731
        files, names = {}, set()
        for place, file, _, words, *rest in read("data"):
            files[place] = file
            names |= {word.lower() for word in rest[: 2 * int(words, 16) : 2] if word[:1].isupper()}
        for word, _, _, pointers, *rest in read("index"):
            kind = NOUNS.get(files[rest[int(pointers) + 2]]) if part == "noun" else part
            times = counts.get((word, part), 0)
            if not kind or word in LEFT_OUT or not re.fullmatch("[a-z]{3,11}", word) or not times and kind not in ("animal", "food", "plant"):
                continue
            if part == "noun" and word in names and (times < 5 or kind in ("time", "nature", "group")) or not times and len(word) > 9:
                continue
            taken[kind].append((-times, len(word), word))
    lines = ["# English words by what they are first of all, the most used of WordNet 3.0 (Princeton University)"]
    lines += [f"{kind}: {' '.join(sorted(word for *_, word in sorted(words)[: int(MOST[kind])]))}" for kind, words in taken.items()]
    (Path(__file__).parent / "words.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_words()
