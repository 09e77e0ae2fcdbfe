/* Prepared states of the playground, each with what to look at. What `look`
   says is true of bert.mini, and tests/test_playground.py measures it. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

d2lbert.examples = [
  {name: "What a crane lifts",
   address: "text=the+crane+lifts+[steel]&view=words",
   look: "The crane is a machine here, and steel, pipes and bricks are " +
         "likely. Change lifts to eats: now it is a bird, and frogs are " +
         "likely."},
  {name: "He or she",
   address: "text=mira+is+the+driver+of+the+red+crane|" +
            "[she]+just+left+the+cabin&view=words",
   look: "A pronoun belongs here, and he and she get half of the " +
         "probability each, with every name: the model has not learned " +
         "which names are women’s."},
  {name: "Does it follow?",
   address: "text=a+crane+driver+came|he+just+left&view=next",
   look: "Sentences about bees and cakes get next to nothing here. The " +
         "dancing bird gets 0.81, although the driver belongs to the other " +
         "crane."},
  {name: "Before and after",
   address: "text=the+hungry+crane+[eats]+frogs+in+the+marsh" +
            "&view=attention&layer=2&head=1&token=4",
   look: "In block 2, head 1 reads the token before and head 2 the token " +
         "after: in 50 held-out inputs with a mean weight of 0.95."},
  {name: "Two sentences",
   address: "text=a+crane+driver+came|he+just+left" +
            "&view=attention&layer=1&head=2&token=0",
   look: "In block 1, head 2, <cls> gives 0.97 of its weight to the second " +
         "sentence, and each other token 0.93 to its own: the means of 25 " +
         "held-out pairs."},
  {name: "Two seals",
   address: "text=a+grey+seal+eats+herring+near+the+shore&view=vectors" +
            "&token=3&with=the+letter+has+a+seal+of+red+wax",
   look: "One word, two vectors: the nearest known sentences of each have " +
         "its sense. For crane the two senses overlap more in the plane."},
  {name: "Step by step",
   address: "text=a+crane+driver+came|he+just+left" +
            "&view=steps&layer=1&head=1&token=2&step=2",
   look: "From the id of crane to its vector, in five steps."},
  {name: "Words it does not know",
   address: "text=paris+is+the+[capital]+of+france&view=words",
   look: "paris and france are not in its vocabulary and go in as <unk>. " +
         "The model gives probabilities all the same."},
];
