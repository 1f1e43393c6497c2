"""Questions calliope-nano has no answer to: of all kinds, and such as it knows for other things.

Two sets are kept for validation: the last wordings of each of KINDS with the things that are kept (question), and FURTHER_HELD (further)."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

from understanding import facts, knowledge

COUNTRIES = """Texas California Bavaria Siberia Atlantis Narnia Wakanda Mordor Gondor Camelot Oz Lilliput Catalonia Sicily Tuscany Normandy Brittany
Patagonia Transylvania Lapland Crete Corsica Florida Alaska Hawaii Ohio Quebec Tasmania Bali Java Tibet Manchuria Babylon Sparta Byzantium Mesopotamia
Prussia Arabia Utopia Ruritania Genovia Zamunda Agrabah Arendelle Nevada Utah Oregon Kansas Iowa Virginia Thuringia Saxony Hesse Galicia Andalusia
Provence Burgundy Flanders Umbria Lombardy Sardinia Bohemia Moravia Silesia Yorkshire Cornwall Kent Ontario Manitoba Yukon Queensland Victoria Kerala
Punjab Assam Goa Yunnan Sichuan Hokkaido Okinawa Borneo Sumatra Zanzibar Elbonia Freedonia Asgard Valhalla Westeros Hyrule Krypton Tatooine Lemuria
Eldorado Avalon Neverland""".split()
PLACES = """Albania Algeria Angola Armenia Bangladesh Belarus Bolivia Bulgaria Cambodia Cameroon Chad Croatia Cyprus Ecuador Estonia
Ethiopia Georgia Guatemala Haiti Honduras Israel Jamaica Jordan Kazakhstan Kuwait Laos Latvia Lebanon Libya Lithuania Luxembourg
Madagascar Malaysia Mali Malta Mongolia Nepal Nicaragua Niger Nigeria Oman Pakistan Panama Paraguay Philippines Qatar Rwanda
Senegal Serbia Singapore Slovakia Slovenia Somalia Sudan Syria Taiwan Tanzania Tunisia Uganda Uruguay Venezuela Yemen Zambia
Zimbabwe""".split()
THINGS = """a house|a car|a book|a shirt|a door|a dress|a flag|a bicycle|a balloon|a pencil|a violin|a tractor|steel|a parrot|a butterfly|a tulip|
music|happiness|the wind|a cloud|rice|cheese|tea|paper|glass|a horse|a dog|a bus|a shoe|a hat|a kite|hair|an idea|water|a mirror|the ocean floor|
a rose|a wall|a sofa|a ball|a potato|rust|the moon|gold|a pear|honey|copper|a panda|silver|a chair|a lamp""".replace("\n", "").split("|")
BEASTS = """a giraffe|a unicorn|a dragon|a rabbit|a jellyfish|a centipede|a squid|a starfish|a dinosaur|a mermaid|a robot|a phoenix|a ghost|a sponge|
a hedgehog|a panda|a koala|an alien|a monster|a teddy bear|an octopus|a hippo|a fox|a lizard|a squirrel|a zebra|a tortoise|a walrus|a vampire""".replace("\n", "").split("|")
WORDS = """table music paper seven river window house idea coffee computer mountain pencil orange water bicycle garden school kitchen doctor letter
country picture animal butter number street spoon dream engine button""".split()
PEOPLE = """the king of Spain|Albert Einstein|the pope|Marie Curie|my neighbour|the mayor of London|Shakespeare|Mozart|Cleopatra|the first man on
the moon|your boss|Charles Darwin|Isaac Newton|the prime minister|Beethoven|Gandhi|Leonardo da Vinci|my teacher|Julius Caesar|Elvis""".replace("\n", " ").split("|")
TOPICS = """football|the French revolution|black holes|photosynthesis|the stock market|climate change|chess|the Roman empire|jazz|volcanoes|DNA|
dinosaurs|inflation|gravity|the weather|electricity|the internet|yoga|politics|philosophy|batteries|nuclear power|poetry|vaccines|taxes""".replace("\n", "").split("|")
TASKS = """write an email|fix my bike|bake a cake|learn Spanish|lose weight|build a house|change a tyre|grow tomatoes|save money|tie a tie|play the
guitar|cook pasta|sleep better|repair a phone|install Linux|make pancakes|clean a carpet|draw a horse|train a dog|buy a house|get to the station|open
a bank account""".replace("\n", " ").split("|")
ORDERS = """Turn off the heating|Play a song by the Beatles|Call my brother|Open the garage|Buy some milk|Book a flight to Rome|Set a timer for ten
minutes|Send an email to my boss|Remind me to buy bread|Show me a map|Take a picture|Read my messages|Lock the door|Start the washing machine|Order a
taxi|Translate hello into Spanish|Write a story about a dragon|Make a list|Find a good restaurant|Add eggs to my list|Turn up the volume|Close the
window|Pay my bill|Record a video|Search the web|Write some code|Draw me a tree|Count to one million|Tell me a secret|Tell me a joke""".replace("\n", " ").split("|")

# (wordings, wordings kept for validation, what fills them)
KINDS = [
    (["What is the capital of {}?", "What's the capital of {}?", "Tell me the capital of {}.", "Capital of {}?", "Which city is the capital of {}?"],
     ["Can you tell me the capital of {}?", "Give me the capital of {}."], COUNTRIES),
    (["What colour is {}?", "What is the colour of {}?", "What color is {}?"], ["Which color is {}?"], THINGS),
    (["What does {} say?", "What sound does {} make?", "What noise does {} make?"], ["Can you tell me what {} says?"], BEASTS),
    (["What is the opposite of {}?", "The opposite of {}?"], ["Can you tell me the opposite of {}?"], WORDS),
    (["Who is {}?", "Who was {}?", "When was {} born?", "Where does {} live?", "How old is {}?", "Tell me about {}."], ["What do you know about {}?", "Is {} famous?"], PEOPLE),
    (["What is {}?", "Explain {}.", "Tell me about {}.", "How does {} work?", "Why is {} important?", "Write an essay about {}."],
     ["What do you think of {}?", "Teach me something about {}."], TOPICS),
    (["How do I {}?", "How can I {}?", "Help me {}.", "What is the best way to {}?", "Teach me to {}.", "When should I {}?"], ["Can you help me {}?", "I want to {}."], TASKS),
    (["{}.", "Please {}.", "Can you {}?", "{} please."], ["Could you please {}?"], ORDERS),
    (["How far is it to {}?", "How many people live in {}?", "Who rules {}?", "Is {} a big country?", "What do people eat in {}?", "How do I get to {}?"],
     ["Is it warm in {}?"], PLACES),
    (["Which people live in {}?", "What is the language of {}?", "What do people speak in {}?"], ["What language do they speak in {}?"], COUNTRIES),
]

SYLLABLES = """ba be bo bra cal cor da den do dra el fa fen ga gar gi har ja ka kel lan li lo ma mar mi mon na nor o pa per qua ra ri ro sa sel sta ta
ter to tri u va vel vi wa yo za zu ble chi dor fro gli hul ib jor kry lum mep nif ost plu rok sni tho urd vok wim xan yel zor""".split()
ENDINGS = {"country": "nia land stan ria via burg ton que dor ras lia vania ica mark istan ia".split(),
           "word": "le ly er ing ness ful ment tion y ous ock ump ish et oon ard".split(),
           "person": "son sen ski man ez ov er ley ini ard ford eau wood el is a".split()}

UNTAUGHT = """Bolivia Israel Benin Sri~Lanka South~Africa Ivory~Coast Equatorial~Guinea Central~African~Republic Vatican~City San~Marino Puerto~Rico Greenland
Bermuda Gibraltar Guam Aruba Curacao Nauru Tuvalu Kiribati Comoros Mauritius Seychelles Swaziland Trinidad Antigua Palestine Western~Sahara""".split()
PLACES_FILE = Path(__file__).with_name("places.txt")  # further places that are not countries
CITIES = """Munich Hamburg Lyon Nice Milan Naples Turin Venice Barcelona Seville Porto Geneva Zurich Salzburg Antwerp Rotterdam Bergen Gothenburg
Krakow Istanbul Sydney Melbourne Toronto Montreal Vancouver Chicago Boston Miami Dallas Seattle Detroit Denver Houston Mumbai Kolkata Shanghai Osaka
Kyoto Karachi Lagos Casablanca Dubai Liverpool Manchester Leeds Glasgow Belfast Cork Rio Guayaquil Medellin Cusco Marseille Cologne Frankfurt Leipzig
Florence Valencia Basel Bruges Nagoya Busan Perth Auckland""".split()
NAMES = """Anna Tom Peter Mary John Emma Paul Lucy David Sarah Max Laura Ben Julia Sam Nina Oscar Clara Felix Maya Leo Ruth Simon Alice George Helen
Martin Sophie Kevin Olga Ahmed Fatima Ivan Mei Carlos Rosa Hans Ingrid Yuki Omar Priya Diego Chloe Igor Amir Lena Hugo Elsa Noah Zoe""".split()
SURNAMES = """Smith Jones Miller Newman Garcia Kowalski Rossi Dubois Tanaka Murphy Jensen Novak Silva Ali Khan Lee Cohen Bauer Peeters Larsen Popov
Nagy Walker Young Baker Hill Cook Bell Stone Rivers Marsh Woods Banks Carter Fisher Hunter Mason Porter Turner""".split()
FAMOUS = """Picasso|Van Gogh|Rembrandt|Michelangelo|Bach|Chopin|Vivaldi|Plato|Aristotle|Socrates|Galileo|Nikola Tesla|Thomas Edison|Alan Turing|
Ada Lovelace|Columbus|Magellan|Nelson Mandela|Martin Luther King|Abraham Lincoln|George Washington|Queen Victoria|Henry the Eighth|Genghis Khan|
Alexander the Great|Joan of Arc|Charles Dickens|Jane Austen|Tolstoy|Kafka|Goethe|Homer|Agatha Christie|Hitchcock|Charlie Chaplin|Marilyn Monroe|
Madonna|Michael Jackson|Freddie Mercury|Bob Dylan|Pele|Maradona|Messi|Federer|Serena Williams|Usain Bolt|Muhammad Ali|Neil Armstrong|Stephen Hawking|
Sigmund Freud|Karl Marx|Napoleon|Churchill|Stalin|Lenin|Obama|the Dalai Lama|Mother Teresa|Robin Hood|Sherlock Holmes|Harry Potter|Mickey Mouse|
Superman|Santa Claus|Zeus|Thor|Hercules|King Arthur|Dracula|Frankenstein|Pinocchio|Cinderella""".replace("\n", "").split("|")
WORKS = """Don Quixote|War and Peace|Moby Dick|Faust|the Odyssey|the Iliad|Macbeth|Othello|The Magic Flute|Carmen|Swan Lake|The Starry Night|Guernica|
The Scream|Star Wars|Titanic|Casablanca|The Godfather|Psycho|Avatar|Bambi|Pride and Prejudice|Dracula|Peter Pan|Alice in Wonderland|The Hobbit|
Robinson Crusoe|Treasure Island|Imagine|Yesterday|Thriller|Bohemian Rhapsody|the Eiffel Tower|the Great Wall|the Colosseum|Big Ben|the Taj Mahal|
the Statue of Liberty|the Sphinx|Stonehenge""".replace("\n", "").split("|")
EVENTS = """the French Revolution|the First World War|the Cold War|the Renaissance|the Black Death|the moon landing|the Olympic Games|
the last world cup|the fall of Rome|the Crusades|the ice age|the Industrial Revolution|the Battle of Hastings|the Great Fire of London|the gold rush|
the fall of the Berlin Wall|the civil war|the Stone Age|the big bang|the discovery of fire""".replace("\n", "").split("|")
SCIENCE = """evolution|the atom|electrons|magnetism|relativity|a prism|the ozone layer|plate tectonics|the nervous system|the immune system|
a semiconductor|algebra|geometry|calculus|probability|statistics|cryptography|machine learning|a neural network|an algorithm|the blockchain|bitcoin|
a virus|bacteria|antibiotics|an enzyme|a protein|the periodic table|radioactivity|osmosis|entropy|the greenhouse effect|a comet|a supernova|a galaxy|
dark matter|the tides|an eclipse|a tornado|a glacier|capitalism|democracy|communism|the constitution|a mortgage|insurance|the gold standard|
a recession|globalisation|feminism|existentialism|stoicism|Buddhism|karma|opera|cubism|baroque music|hip hop|the blues|ballet|origami|sushi""".replace("\n", "").split("|")
LANGUAGES = """Italian French German Spanish Russian Chinese Arabic Latin Dutch Polish Turkish Swedish Greek Korean Hindi Portuguese Welsh Finnish Hebrew
Swahili Esperanto Klingon""".split()
CODE = "Python|Java|C|Rust|JavaScript|Go|Ruby|Perl|Haskell|SQL|HTML|Bash|PHP|Swift|assembler|Excel|Word|Photoshop|Windows|Linux|Docker|Git".split("|")
DAYS_OFF = """Christmas|Easter|New Year|my birthday|Halloween|Ramadan|Hanukkah|Diwali|Mother's Day|the weekend|the holidays|next Friday|next month|
the year 1900|the tenth of May|tomorrow""".replace("\n", "").split("|")
MEASURES = """miles kilometres metres inches feet yards centimetres acres hectares litres gallons pints cups spoons grams kilograms ounces pounds
tonnes watts volts joules calories degrees knots bytes gigabytes pixels seconds minutes hours days weeks euros dollars pesos carats horsepower
decibels""".split()
WHOLES = """a mile|a gallon|an acre|a light year|a barrel|a marathon|a football field|a lorry|an ocean|a cup|a bucket|a suitcase|a bathtub|
a swimming pool|a parsec|a fathom|a furlong|a nautical mile|a bushel|a hectare|a calorie|a kilowatt|a megabyte|a lifetime|a school year|a heartbeat|
an orchestra|a cricket team|a choir|a harp|a cello|a chess set|a book|a library|a village|a train|a pyramid|a snowflake|a galaxy|a forest|a beehive|
a sandwich|an army|a symphony|a film|a dictionary""".replace("\n", "").split("|")

# Families of facts, and what fills their wordings so that nothing is known of it.
UNKNOWN = {
    "capital": {"q": "nowhere"}, "capital_of": {"q": "city"}, "continent": {"q": "no continent"}, "currency": {"q": "no money"}, "language": {"q": "no language"},
    "opposite": {"q": "single"}, "colour": {"q": "a uncoloured"}, "sound": {"q": "a mute"}, "legs": {"q": "a legless"}, "sides": {"q": "a thing"},
    "young": {"q": "youngless"}, "home": {"q": "a homeless"}, "kind": {"q": "a undefined"}, "symbol": {"q": "unsymboled"}, "season": {"q": "holiday"},
    "month_days": {"q": "holiday"}, "unit": {"q": "measure", "w": "whole"}, "day_after": {"q": "holiday"}, "month_before": {"q": "holiday"},
    "letter_after": {"q": "number"}, "planet_before": {"q": "noun"}, "number_after": {"q": "big"}, "number_before": {"q": "big"}, "in_words": {"q": "big"},
    "even": {"q": "noun"},
}  # fmt: skip

# What no family asks, but nearly.
NEAR = """What colour is my {uncoloured}?|How many arms does {a legless} have?|How many {things} are there in {nowhere}?|
What colour are {name}'s eyes?|How many teeth does {a animal} have?|How many eyes does {a animal} have?|How many wings does {a animal} have?|
How many {things} are in {whole}?|How many {measure} is {number} {measure}?|Convert {number} {measure} to {measure}.|
What is {number} {measure} in {measure}?|How many {measure} are in {number} {measure}?|Write {word} in figures.|Spell {word} backwards.|
What is the past tense of {verb}?|What is another word for {adj}?|What is the comparative of {adj}?|What is a synonym of {word}?|
Which city is the largest of {country}?|What is the national anthem of {country}?|What is the flag of {country}?|
Who was the first king of {country}?|What is the second city of {country}?|What is the old capital of {country}?|Which countries border {country}?|
How large is {country}?|When did {country} become independent?|What are the people of {country} like?|Which letter comes after Z?|
Which letter comes before A?|What letter comes after Z?|Which planet comes after Neptune?|Which planet comes before Mercury?|
What is the thirteenth month?|Which month is the twentieth?|What is the eighth day of the week?|How many days does {holiday} have?""".replace("\n", "").split("|")

# Open ones, of all styles.
OPEN = """Who is {person}?|Who was {person}?|Tell me about {person}.|When was {person} born?|When did {person} die?|Where was {person} born?|
What did {person} do?|How did {person} become famous?|What did {person} invent?|How old was {person} when he died?|Was {person} married?|
What is {person} known for?|How tall is {person}?|Is {person} still alive?|Who was the father of {person}?|Why did {person} leave {place}?|
What does {person} think about {noun}?|Give me a quote by {person}.|Who wrote {work}?|Who made {work}?|When was {work} made?|What is {work} about?|
Who plays in {work}?|Have you seen {work}?|Where can I see {work}?|How old is {work}?|Is {work} any good?|What happened in {year}?|
Who was king in {year}?|Who won the {act} in {year}?|When was {event}?|What was {event}?|Why did {event} happen?|Who started {event}?|
How long did {event} last?|What came after {event}?|Tell me about {event}.|Where did {event} take place?|What is {science}?|How does {science} work?|
Explain {science}.|Who discovered {science}?|Why does {science} matter?|Give me an example of {science}.|What do we know about {science}?|
I do not understand {science}.|What is the difference between {noun} and {noun}?|What is the difference between {a thing} and {a thing}?|
Why is {science} so difficult?|Teach me {science}.|What is the use of {a thing}?|How does {a thing} work?|How is {a thing} made?|
Who invented the {thing}?|What is {a thing} made of?|How much does {a thing} cost?|Where can I buy {a thing}?|How heavy is {a thing}?|
How long is {a thing}?|How old is this {thing}?|Which {thing} is the best?|Which {thing} should I buy?|Is {a thing} better than {a thing}?|
How do I repair {a thing}?|How do I clean {a thing}?|How do I draw {a thing}?|How do I use {a thing}?|My {thing} is broken.|I have lost my {thing}.|
Where is my {thing}?|Who took my {thing}?|What do I need {a thing} for?|Do you have {a thing}?|Have you ever seen {a thing}?|
Can you lend me {a thing}?|Bring me the {thing}.|Put the {thing} on the {thing}.|Paint the {thing} {adj}.|Throw away the {thing}.|Sell my {thing}.|
What is inside {a thing}?|Why is the {thing} so {adj}?|When was the first {thing} built?|What do {things} cost in {country}?|
How many {things} do I own?|What do {animals} eat?|How long do {animals} live?|How fast is {a animal}?|How big does {a animal} grow?|
Where do {animals} sleep?|Are {animals} dangerous?|Can {animals} swim?|Why do {animals} {verb}?|What is the biggest {animal}?|
What do I feed {a animal}?|Is {a animal} stronger than {a animal}?|How do {animals} find food?|Do you have a {animal}?|May I keep {a animal} at home?|
My {animal} is ill.|How many {animals} are left?|Which {animal} is the fastest?|How do I cook {food}?|What goes well with {food}?|Is {food} healthy?|
Where does {food} come from?|Do you like {food}?|How long does {food} keep?|What can I make with {food} and {food}?|How is {food} made?|
How much {food} should I eat?|Can I eat {food} every day?|Who invented {food}?|Is there {food} at home?|Give me a recipe with {food}.|
Which {food} is the best?|How do I peel {a food}?|Why does {food} taste so {adj}?|I am allergic to {food}.|What vitamins are in {food}?|
Can you cook {food}?|Should I eat {food} or {food}?|What does {a job} do?|How much does {a job} earn?|How do I become {a job}?|Are you {a job}?|
Where can I find {a job}?|Is {a job} rich?|What does {a job} wear?|Do I need {a job}?|What should I tell the {job}?|Who is the best {job} in {place}?|
My {job} is angry with me.|Call the {job}.|What is my {job} called?|Why does my {body} hurt?|What is the {body} for?|How do I heal my {body}?|
My {body} hurts.|What is wrong with my {body}?|Where is the {body}?|How large is the {body}?|What should I do about my {body}?|What is {idea}?|
What does {idea} mean?|Why is {idea} important?|How do I find {idea}?|Is {idea} good or bad?|What do you think about {idea}?|
Do you believe in {idea}?|Write a poem about {idea}.|Write an essay about {idea}.|Tell me a story about {a noun}.|Sing me something about {noun}.|
Is there {idea} in {place}?|What is more important, {idea} or {idea}?|What does the word {word} mean?|What does {word} mean?|Define {word}.|
Where does the word {word} come from?|Use {word} in a sentence.|How is {word} pronounced?|What is the meaning of {word}?|Who said {word} first?|
How many letters does {word} have?|How do you say {word} in {language}?|What is {word} in {language}?|Translate {word} into {language}.|
What is the {language} word for {word}?|Do you speak {language}?|Teach me {language}.|Say {word} in {language}.|How many people speak {language}?|
Is {language} hard to learn?|How do I write a loop in {code}?|Write a function in {code} that counts {things}.|How do I install {code}?|
What is {code}?|Why does my {code} program crash?|Who made {code}?|Is {code} better than {code}?|How do I open a file in {code}?|
Show me an example in {code}.|Debug this {code} script.|Write a {code} class for {a thing}.|Teach me {code}.|What is the weather in {place}?|
Will it rain in {place}?|How warm is it in {place}?|Is it snowing in {place}?|What will the weather be on {day}?|Will it be {adj} on {day}?|
When does the sun rise in {place}?|Do I need a coat on {day}?|What is the time in {place}?|How far is {place} from {place}?|
How do I get from {place} to {place}?|How long is the flight to {place}?|What can I see in {place}?|Where is {city}?|Is {place} beautiful?|
Which hotel is good in {place}?|How many people live in {place}?|Who is the mayor of {city}?|Who is the president of {nowhere}?|
Who is the king of {country}?|Who rules {country}?|What do people eat in {country}?|Is {country} rich?|Is {country} larger than {country}?|
When should I visit {place}?|Book a room in {place}.|Show me the way to {place}.|Is it safe in {place}?|What is the highest mountain of {country}?|
What is the population of {place}?|Why is {place} famous?|How old is {city}?|When was {city} founded?|Tell me about {place}.|
What is happening in {place}?|When does the next train to {place} leave?|How much is a ticket to {place}?|What is new in {place}?|
Who won the match against {country}?|How many medals has {country}?|When does {team} play?|Did {team} win?|Who is the coach of {team}?|
What is the score of {team}?|What is my {thing} number?|What did I do on {day}?|What is on my list for {day}?|Am I free on {day}?|
What did {name} say to me?|Where is {name}?|Who is {name}?|How old is {name}?|When does {name} come home?|Is {name} my friend?|What does {name} like?|
What should I give {name} for {holiday}?|Tell {name} that I am late.|Send {name} a {thing}.|Call {name}.|Invite {name} for {day}.|
Ask {name} about the {thing}.|Write to {name}.|What is the number of {name}?|Did {name} write to me?|What is {name}'s address?|Do you know {name}?|
Do you know {person}?|My name is {name}. What is yours? And who is my brother?|Remind me on {day} to {verb}.|Remind me to buy {food}.|
Wake me at {number}.|Set a timer for {number} minutes.|Put {food} on my list.|Turn on the {thing}.|Turn off the {thing}.|Open the {thing}.|
Close the {thing}.|Start the {thing}.|Stop the {thing}.|Clean the {thing}.|Buy me {a thing}.|Find me {a thing}.|Draw {a noun}.|Draw me {a animal}.|
Play a song about {noun}.|Play some {noun} music.|Play the {noun} game.|Show me a picture of {a animal}.|Show me {things}.|Make a list of {things}.|
List five {things}.|Name three {things}.|Name a famous {job}.|Search for {things}.|Look up {person}.|Write a letter to {name}.|
Write a joke about {a animal}.|Tell me a joke about {a job}.|Tell me something about {noun}.|Give me advice about {idea}.|
Give me an idea for {holiday}.|When is {holiday}?|How many weeks until {holiday}?|What should I do on {holiday}?|Which day is {holiday}?|
What date is it on {day}?|What day of the week was the {number} of {month} {year}?|Should I {verb}?|How do I {verb}?|When should I {verb}?|
Why do people {verb}?|Where can I {verb}?|Can you {verb}?|Do you {verb}?|Did you {verb} yesterday?|What happens when I {verb}?|Help me to {verb}.|
Is it hard to {verb}?|Who likes to {verb}?|Teach me how to {verb}.|I have to {verb}.|I cannot {verb}.|Let us {verb} together.|
What do I need to {verb}?|Are you {adj}?|Am I {adj}?|Is {name} {adj}?|Why are you so {adj}?|Why am I so {adj}?|Why are {animals} {adj}?|
How can I be more {adj}?|I feel {adj} today.|Is this {adj}?|What is {adj} in {country}?|Make it more {adj}.|Who is more {adj}, {name} or {name}?|
What is the most {adj} {thing}?|Do you prefer {things} or {things}?|What is your favourite {thing}?|What is your favourite {animal}?|
What is your favourite {food}?|Do you admire {person}?|Are {things} any use?|Do you like {things}?|Have you been to {place}?|
Do you dream?|Where do you live?|Do you have {a body}?|How much do you cost?|Who made you {adj}?|Do you eat {food}?|Are you better than {person}?|
What is the {adj} thing about {noun}?|I have {number} {things}. How many are left?|What is the price of {noun}?|
What is the price of {a thing} in {place}?|How much is {number} {measure} of {substance}?|What is {substance} made of?|How hot is {substance}?|
Where is {substance} found?|What is {substance} used for?|Is {substance} poisonous?|What is the density of {substance}?|Does {substance} burn?|
How deep is the {nature}?|How old is the {nature}?|How far is the {nature}?|What lives in the {nature}?|Where is the nearest {nature}?|
How was the {nature} formed?|Who owns the {nature}?|How do I grow {plant}?|When does {plant} flower?|Can I eat {plant}?|How tall is {a plant}?|
Where does {plant} grow?|A large {thing}, please.|Could I have {a food} with {food}?|I want {a thing} with {a thing}.|One small {thing} please.|
Can I get {things} without {food}?|I would like {a food} and {a food}.|Do you sell {food}?|May I have {number} {things}?|What is the news about {noun}?|What is new about {science}?|Is it true that {animals} {verb}?|
Is it true that {name} has {a thing}?|What would happen without {noun}?|How many {things} are there in the world?|
How many {animals} are there in {country}?|What are the rules of {act}?|How do I win at {act}?|Is {act} dangerous?|Who is the best at {act}?|
Why do people like {act}?|When did {act} begin?|What equipment do I need for {act}?|{word}|{a noun}|{noun} and {noun}|the {adj} {thing}|
{verb} the {thing}|{nonsense}|{nonsense} {nonsense}|What is {nonsense}?|Who is {nonsense}?|Where is {nonsense}?|Tell me about {nonsense}.|
How do I {nonsense}?|What does {nonsense} mean?|Please {nonsense} the {thing}.|Give me the {nonsense}.|Why is {nonsense} {adj}?""".replace("\n", "").split("|")
OPEN += Path(__file__).with_name("outside.txt").read_text().split("\n")[:-1]  # written by somebody who had seen those above only

FURTHER_HELD = """Can you say anything about {person}?|In which year did {person} die?|Who came up with {a thing}?|What would {a thing} weigh?|
Would {name} like {a thing}?|Is there any {food} without sugar?|What makes {a animal} {adj}?|Could you translate {word} to {language}?|
Can you tell me what {word} means?|How would I program {a thing} in {code}?|Could you turn the {thing} off?|Give me the currency of {no money}.|
Which continent does {no continent} belong to?|Can you tell me the currency of {no money}?|What country is {city} the capital of?|
Please name the opposite of {single}.|Can you tell me what colour {a uncoloured} is?|Can you tell me where {a homeless} lives?|
Can you tell me what {a undefined} is?|Can you tell me what a baby {youngless} is called?|Do you know how many {measure} are in {whole}?|
Do you know how many legs {a legless} has?|Hey, what does {a mute} say?|Can you tell me the chemical symbol of {unsymboled}?|
Hey, what is the weather in {place}?|Can you book me a train to {place}?|Do people {verb} in {country}?|Hey, what happened to {name}?|
Would you ever {verb}?|What would you do about {idea}?|Any news from {place}?|How come {animals} {verb}?|Please explain {science} to me.|
Can you give me a summary of {work}?|Hey, who won in {place}?|Let me hear something about {a job}.|How would you fix {a thing}?|
May I ask what {name} thinks of {things}?|Can you order {things} for {day}?|Could you call {name} for me?|What was life like in {year}?|
Have you heard of {nonsense}?|Is {nonsense} a word?|Hey, where can I get {a thing}?|What might {things} cost?|Do you know what {hard} is?|
Can you tell me what {hard} is?|Please calculate {hard}.|Hey, what is {hard}?""".replace("\n", "").split("|")

HARD = ["What is {hard}?", "What's {hard}?", "How much is {hard}?", "Calculate {hard}.", "{hard}", "{hard} = ?", "{hard} =", "{hard}?",
        "Tell me what {hard} is.", "Work out {hard}.",
        "What does {hard} make?", "{hard} is what?", "Solve {hard}.", "what is {hard}", "{hard} equals?"]


def held(thing: str) -> bool:
    """Every sixth thing is kept for validation."""
    return facts.kept(thing)


def invented(kind: str, rng: random.Random) -> str:
    """A name nobody has heard, so that it is not the few in the lists that are unknown."""
    if kind == "country" and rng.random() < 0.5:  # begins as a known one does, or ends so
        known = rng.choice(PIECES)
        start = known[: rng.randint(2, max(2, len(known) - 2))] if rng.random() < 0.7 else rng.choice(SYLLABLES)
        name = start + (rng.choice(ENDINGS[kind]) if rng.random() < 0.6 else rng.choice(PIECES)[-rng.randint(2, 5) :]).lower()
    else:
        name = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2))) + rng.choice(ENDINGS[kind])
    return name if kind == "word" else name[0].upper() + name[1:]


def article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "z")) else "s")


def hard(rng: random.Random) -> str:
    """A sum that is too hard: large, of three numbers, divided, with fractions, powers or roots."""
    n, m = rng.randint(2, 99), rng.randint(2, 99)
    large = rng.randint(1000, rng.choice([9999, 99999, 999999]))
    other = rng.randint(1, rng.choice([9, 99, 999, 9999, 99999]))
    left, right = (large, other) if rng.random() < 0.5 else (other, large)
    a, b = rng.randint(45, 999), rng.randint(45, 999)
    sign = rng.choice(["plus", "+", "minus", "-", "times", "x", "*"])
    times, over, words = rng.choice(["times", "x", "*", "multiplied by"]), rng.choice(["divided by", "/"]), facts.number_words
    kind = rng.random()
    if kind < 0.25:
        return f"{left} {sign} {right}"
    if kind < 0.4:
        return f"{a} {times} {b}"
    if kind < 0.55:
        return rng.choice([f"{n * m} {over} {m}", f"{a} {over} {n}", f"{words(n * m)} divided by {words(m)}"])
    return rng.choice([
        f"{n} plus {m} plus {other}", f"{n} + {m} - {n // 2}", f"{n} times {m} plus {other}", f"({n} + {m}) * {n}", f"{n}.{m % 10} plus {m}.{n % 10}",
        f"{n}.{m} {rng.choice('+-x')} {other}", f"{n} to the power of {m}", f"{n}^{m}", f"the square root of {other}", f"the square root of {n * n}",
        f"{n} squared", f"{n} percent of {other}", f"{n}% of {other}", f"half of {other}", f"a third of {other}", f"{n} factorial", f"the sine of {n}",
        f"the logarithm of {other}", f"{n} modulo {m}", f"{n}/{m} plus {m}/{n}", f"x plus {n} is {m}, so x", f"{n}x - {m} = {other}", f"pi times {n}",
        f"the average of {n} and {m}", f"the largest of {n}, {m} and {other}", f"{words(left % 9000 + 1000)} plus {words(m)}", f"the next prime after {other}",
    ])  # fmt: skip


# Of what it knows what no question outside may ask, by the place of a wording.
KNOWN_OF = {
    "single": [*facts.OPPOSITES, *facts.OPPOSITES.values()], "uncoloured": facts.COLOURS, "mute": facts.SOUNDS, "legless": facts.LEGS, "youngless": knowledge.YOUNG,
    "homeless": knowledge.HOMES, "undefined": knowledge.KINDS, "unsymboled": knowledge.SYMBOLS,
}  # fmt: skip


def last(names) -> set[str]:
    """Their last words: "a dog" -> "dog"."""
    return {name.split()[-1] for name in names}


TAUGHT = set().union(*map(last, KNOWN_OF.values()))


def lists() -> dict[str, list[str]]:
    """What fills the places of NEAR, OPEN and FURTHER_HELD."""
    of = knowledge.words()
    orders = set("coffee latte espresso cappuccino mocha decaf milk sugar roast cup shot drink".split())  # those are answered
    of["food"] = [w for w in of["food"] if w not in orders]
    noun = [w for kind in ("thing", "animal", "food", "plant", "person", "nature", "substance", "idea", "act", "group", "event") for w in of[kind]]
    animals = sorted({*of["animal"], *last(BEASTS)})

    def but(slot: str, words: list[str]) -> list[str]:
        return [w for w in words if w not in last(KNOWN_OF[slot])]

    out = {kind: of[kind] for kind in ("thing", "food", "body", "plant", "substance", "act", "idea", "nature", "verb", "adj")}
    out |= {"animal": animals, "job": of["person"], "noun": noun, "word": sorted({w for words in of.values() for w in words})}
    asked = {
        "single": [w for words in of.values() for w in words],
        "uncoloured": of["thing"] + of["animal"] + of["food"] + of["plant"],
        "mute": animals + of["thing"][::4] + of["person"][::4],
        "legless": animals + of["thing"][::6],
        "youngless": animals + of["person"][::6],
        "homeless": animals + of["person"][::3],
        "undefined": noun,
        "unsymboled": of["substance"] + of["food"],
    }
    out |= {slot: but(slot, words) for slot, words in asked.items()} | {"unopposed": but("single", of["adj"])}
    untaught = [w.replace("~", " ") for w in UNTAUGHT] + COUNTRIES + [p for p in PLACES_FILE.read_text().split("\n") if p]
    out["nowhere"] = untaught
    for slot, known in (("no continent", knowledge.CONTINENTS), ("no money", knowledge.CURRENCIES), ("no language", knowledge.LANGUAGES)):
        out[slot] = untaught + [country for country in facts.CAPITALS if country not in known]
    return out | {
        "city": CITIES, "country": [*facts.CAPITALS, *COUNTRIES], "name": NAMES, "famous": FAMOUS + PEOPLE, "work": WORKS, "event": EVENTS, "science": SCIENCE + TOPICS,
        "language": LANGUAGES, "code": CODE, "holiday": DAYS_OFF, "measure": MEASURES, "whole": WHOLES, "day": facts.DAYS, "month": facts.MONTHS,
    }


PIECES = sorted({word for name in facts.CAPITALS for word in name.split() if word[0].isupper() and len(word) > 3})
LISTS = lists()
KEPT_THINGS = last(thing for _, _, things in KINDS for thing in things if held(thing))  # kept with their article, and so in every wording


def free(word: str) -> bool:
    """Training may ask about it."""
    return not held(word) and word not in KEPT_THINGS


FREE = {kind: [w for w in words if free(w)] or words for kind, words in LISTS.items()}
KEPT = {kind: [w for w in words if held(w)] or words for kind, words in LISTS.items()}
# What stands in for some of them, so that what it does not know is learnt as everything else and not by heart.
ANYTHING = "thing animal food plant person substance act idea body event group nature"
RARELY = {"single": ANYTHING, "uncoloured": "thing animal food plant", "mute": "animal animal thing person", "legless": "animal animal animal thing", "youngless": "animal person",
          "homeless": "animal person", "undefined": ANYTHING, "unsymboled": "substance food", "noun": ANYTHING, "animal": "animal", "thing": "thing", "nowhere": "place"}  # fmt: skip
RARELY |= dict.fromkeys(("no continent", "no money", "no language"), "place")
RARE = {slot: [w for kind in kinds.split() for w in knowledge.rare().get(kind, ()) if free(w) and w not in TAUGHT] for slot, kinds in RARELY.items()}


def elsewhere() -> dict[str, list[str]]:
    """What it knows something about, but not this: nothing misleads it more."""
    things = set().union(*(last(KNOWN_OF[slot]) for slot in KNOWN_OF.keys() - {"single", "unsymboled"}))
    words = dict.fromkeys(KNOWN_OF, things) | {"single": TAUGHT | last(facts.COLOURS.values())}
    return {slot: sorted(w for w in words[slot] - last(known) if w.islower() and free(w) and not held(article(w))) for slot, known in KNOWN_OF.items()}


ELSEWHERE = elsewhere()


def fill(slot: str, rng: random.Random, words: dict[str, list[str]]) -> str:
    """What stands in one {place} of a wording."""
    if slot.startswith("a "):
        word = fill(slot[2:], rng, words)
        return article(word)
    if words is FREE and slot in ELSEWHERE and rng.random() < 0.25:
        return rng.choice(ELSEWHERE[slot])
    if words is FREE and RARE.get(slot) and rng.random() < 0.35:
        return rng.choice(RARE[slot])
    if slot == "nowhere" or slot.startswith("no "):
        return invented("country", rng) if rng.random() < 0.4 else rng.choice(words[slot])
    if slot == "single" and rng.random() < 0.3:  # what most often has an opposite
        return rng.choice(words["unopposed"])
    if slot in words:
        return rng.choice(words[slot])
    if slot in ("things", "animals"):
        return plural(rng.choice(words[slot[:-1]]))
    if slot == "place":
        return rng.choice(words[rng.choice(["city", "country", "nowhere"])]) if rng.random() < 0.8 else invented("country", rng)
    if slot == "person":
        kind = rng.random()
        if kind < 0.4:
            return rng.choice(words["famous"])
        return f"{rng.choice(NAMES)} {rng.choice(SURNAMES) if kind < 0.7 else invented('person', rng)}"
    if slot == "team":
        return f"{rng.choice(words['city'])}{rng.choice(['', ' United', ' City'])}"
    if slot == "nonsense":
        return invented("word", rng)
    if slot == "hard":
        return hard(rng)
    if slot == "year":
        return str(rng.randint(1000, 2040))
    return str(rng.randint(1000, 99999) if slot == "big" else rng.randint(2, 999))  # big, number


PLACE = re.compile(r"\{([^}]*)\}")
SPLIT = {wording: PLACE.split(wording) for wording in NEAR + OPEN + FURTHER_HELD + HARD}


def filled(wording: str, rng: random.Random, words: dict[str, list[str]]) -> str:
    parts = SPLIT[wording]
    return facts.named("".join(fill(part, rng, words) if i % 2 else part for i, part in enumerate(parts)))


KNOWN = facts.known()
BENCH = Path(__file__).parents[2] / "bench/tasks/outside_domain.jsonl"  # what the bench asks is never trained on
ASKED = {facts.plain(json.loads(line).get("text", "")) for line in BENCH.read_text().split("\n") if line}


def by_kind(rng: random.Random, held_out: bool) -> str:
    """One of KINDS."""
    train, kept, things = rng.choice(KINDS)
    thing = rng.choice([t for t in things if held(t) == held_out])
    if not held_out and things in (COUNTRIES, PLACES) and rng.random() < 0.4:
        thing = invented("country", rng)
    wording = rng.choice(kept if held_out else train)
    asked = wording.format(thing if wording.startswith("{}") or thing[1:2].isupper() or things is not ORDERS else thing[0].lower() + thing[1:])
    return facts.named(asked)


NEIGHBOURS = [(train, items, UNKNOWN[name]) for kind, train, _, items in facts.FAMILIES if (name := kind.removeprefix("further_")) in UNKNOWN]

OFTEN = list(itertools.accumulate(3 if slots["q"] in ("nowhere", "no continent", "no money", "no language") else 1 for _, _, slots in NEIGHBOURS))


def pair(rng: random.Random) -> tuple[str, str, str]:
    """In the same words a question about what it does not know, and one about what it knows with its answer."""
    train, items, slots = rng.choices(NEIGHBOURS, cum_weights=OFTEN)[0]
    wording, item = rng.choice(train), rng.choice(items)
    while facts.plain(asked := wording.format(**{name: fill(slot, rng, FREE) for name, slot in slots.items()})) in KNOWN or facts.plain(asked) in ASKED:
        pass
    return asked, wording.format(**item), item["a"]


def draw(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.2:
        return by_kind(rng, False)
    if kind < 0.5:
        return pair(rng)[0]
    return filled(rng.choice(NEAR if kind < 0.6 else OPEN if kind < 0.94 else HARD), rng, FREE)


def question(rng: random.Random, held_out: bool = False) -> str:
    """A question to be answered with facts.OUTSIDE; `held_out` takes wordings and things that training never sees."""
    if held_out:
        return by_kind(rng, True)
    while facts.plain(asked := draw(rng)) in KNOWN or facts.plain(asked) in ASKED:
        pass
    return worded(asked, rng)


def worded(asked: str, rng: random.Random) -> str:
    """Sometimes with more words around it, sometimes as people type."""
    if rng.random() < 0.25:
        asked = facts.polite(asked, "", rng)
    return facts.as_typed(asked, rng) if rng.random() < 0.3 else asked


def further(rng: random.Random) -> str:
    """A question of the further wordings kept for validation, about words that are kept."""
    while facts.plain(asked := filled(rng.choice(FURTHER_HELD), rng, KEPT)) in KNOWN:
        pass
    return asked
